"""English, without am and pm."""
