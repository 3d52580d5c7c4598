"""The engine: one owner thread that turns, and the ports through which it meets the world."""
