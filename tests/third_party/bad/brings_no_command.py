from videoconf import hookimpl


@hookimpl
def videoconf_cli():
    return [print]
