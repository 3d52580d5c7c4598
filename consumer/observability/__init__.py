"""What the daemon shows of itself: log lines, metrics, status, health, a page."""
