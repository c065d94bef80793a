"""Every applet by name."""

from . import archive, basic, names, sockets, web
from .base import Applets

APPLETS: Applets = {**archive.APPLETS, **basic.APPLETS, **web.APPLETS, **names.APPLETS, **sockets.APPLETS}
