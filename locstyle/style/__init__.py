"""Styles as data, their files, and where they are found; `__init__.pyi` is its public face."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
