"""What a big deployment comes to, by arithmetic, in virtual time, and counted on a real broker."""
