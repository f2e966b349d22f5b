from ._tripwire import ScoreAlarm as ScoreAlarm
from ._tripwire import check_scores as check_scores
from ._tripwire import check_together as check_together
