"""Settings: what they are called, what they default to, and where each value came from.

`fields` has every setting in one line each, `loading` makes them from options, variables and eat.toml. Both know no
command line.
"""

from eat_worker.settings.fields import CHOICES as CHOICES
from eat_worker.settings.fields import ENGINES as ENGINES
from eat_worker.settings.fields import NAMES as NAMES
from eat_worker.settings.fields import Settings as Settings
from eat_worker.settings.fields import read_secret as read_secret
from eat_worker.settings.loading import COMMAND_VARIABLES as COMMAND_VARIABLES
from eat_worker.settings.loading import load_settings as load_settings
