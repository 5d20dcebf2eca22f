"""``videoconf explain``: why an attendee shows as they do."""

from __future__ import annotations

import click

from videoconf.cli.application import application, in_application, of_tenant, reader
from videoconf.cli.printing import as_json, print_json


# One link in 64 begins with a dash, and an attendee may; click would take either for an option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("link")
@click.argument("attendee")
@of_tenant
@as_json
@in_application
def explain(link: str, attendee: str, tenant: str | None, as_json: bool) -> None:
    """Explain why an attendee of a meeting shows as present or gone.

    LINK is the meeting link id. ATTENDEE is a person's id, or the connection id of an anonymous participant. Prints the
    evidence of each connection, the law of attendance that decided, and the result.
    """
    from videoconf.api.services import services
    from videoconf.attendance.explain import lines_of

    explanation = services(application()).attendance.explain(reader(tenant), link, attendee)
    if as_json:
        from videoconf.api.explanation import explanation_values

        print_json(explanation_values(explanation))
        return
    for line in lines_of(explanation):
        click.echo(line)
