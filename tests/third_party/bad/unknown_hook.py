from videoconf import hookimpl


@hookimpl
def videoconf_no_such_hook():
    return []
