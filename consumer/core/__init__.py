"""The pure rooms: they read no clock, environment, logger or randomness, and hold no lock."""
