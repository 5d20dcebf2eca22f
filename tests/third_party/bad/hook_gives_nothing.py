from videoconf import hookimpl


@hookimpl
def videoconf_providers():
    return 17
