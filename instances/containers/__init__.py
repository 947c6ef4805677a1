"""What a container should be, and how one differs from it: pure rules."""
