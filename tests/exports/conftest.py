import pytest

from tests.exports.models import conv_net, trained_ticket


@pytest.fixture(scope="session")
def ticket(digits):
    """A dense network of digits at 10%, trained and stripped."""
    return trained_ticket(digits)


@pytest.fixture(scope="session")
def conv_ticket(digits):
    """A small convolutional one at 20%."""
    return trained_ticket(digits, conv_net, rate=0.8)
