"""What plugin authors need to test a plugin: a tiny random backbone, scenes, checks, fixtures.

All public names are listed in `__init__.pyi`; they load when first used, so that pytest, which
imports the fixtures whenever locstyle is installed beside it, starts as fast as before.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
