"""Names the plugins that hold the fixtures."""

pytest_plugins = [
    "tests.support.fixtures",
    "tests.support.api_fixtures",
    "tests.support.scenario_fixtures",
]
