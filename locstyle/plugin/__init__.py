"""What a plugin is, what it may offer, and the host that knows them all."""
