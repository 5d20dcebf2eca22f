"""Whatever a token says of a participant, the callbacks of Vonage say too."""

from tests.support.service import ON_SQLITE
from tests.support.wishes import check, property_of_wishes


@ON_SQLITE
@property_of_wishes
def test_token_and_callbacks_name_the_same_person(service, wish):
    check(service.api, service.join, service.deliver, wish)
