"""Lists what is wrong with the settings, without starting anything or connecting to anything."""

import json
import sys
from dataclasses import asdict

from composition import ServiceSettings
from composition.setting_problems import refuse, refused_of, setting_problems


def check_settings(settings: ServiceSettings) -> None:
    """Print every problem as JSON. Raises SystemExit with those that are refused, as a start does."""
    problems = setting_problems(settings)
    refused = refused_of(settings, problems)
    lines = [asdict(problem) | {"refused": problem in refused} for problem in problems]
    sys.stdout.write(json.dumps({"environment": settings.environment, "problems": lines}) + "\n")
    refuse(refused)
