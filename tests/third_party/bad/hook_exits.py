import sys

from videoconf import hookimpl


@hookimpl
def videoconf_storage_targets():
    sys.exit("not here")
