"""Everything between an edit and a scene: names found, files read, pictures inverted."""
