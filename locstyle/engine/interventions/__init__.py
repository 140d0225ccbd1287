"""The ways to rewrite what attention reads and what layers emit."""
