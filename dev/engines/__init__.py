"""The suite's promises on engines that this machine does not have: `make test-engines`."""
