"""What is wrong with an instance, a host or dockmgr, from the first failure until it is over."""
