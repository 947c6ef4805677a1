"""Work on many instances: sweep, rollout, selections, the fleet file, clean-up."""
