"""Different regions of one photo, different styles, at once; everything else bit for bit.

All public names are listed in `__init__.pyi`, which type checkers read and from which they are
loaded when first used, so that `import locstyle` stays light.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
