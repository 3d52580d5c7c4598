"""Customer.io's Track API: requests, the threads that carry them, the connections below."""
