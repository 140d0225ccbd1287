"""Photos as photographers have them: files in and out, the working size and the way back."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
