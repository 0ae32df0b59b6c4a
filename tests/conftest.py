"""Settings of all tests: property tests have no time limit, since other work may share the machine."""

from hypothesis import settings

settings.register_profile("rlkit", deadline=None)
settings.load_profile("rlkit")
