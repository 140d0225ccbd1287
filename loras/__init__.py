"""Trained styles: data only, found by name through `locstyle.style.find_style`."""
