"""Published heuristics, best static settings, oracles and bounds of each system."""
