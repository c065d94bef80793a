"""Every applet by name."""

from . import basic, names, sockets, web
from .base import Applets

APPLETS: Applets = {**basic.APPLETS, **web.APPLETS, **names.APPLETS, **sockets.APPLETS}
