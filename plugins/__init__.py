"""Plugins shipped with locstyle; each uses only what `import locstyle` offers."""
