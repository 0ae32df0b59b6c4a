"""The kinds of stages, by name."""

from rlkit.pipeline.kinds.diagnose import DIAGNOSE
from rlkit.pipeline.kinds.evaluate import EVAL
from rlkit.pipeline.kinds.kind import Kind
from rlkit.pipeline.kinds.run import RUN
from rlkit.pipeline.kinds.score import SCORE
from rlkit.pipeline.kinds.select import SELECT
from rlkit.pipeline.kinds.synthesize import SYNTHESIZE
from rlkit.pipeline.kinds.tools import HARVEST, MERGE, RANK
from rlkit.pipeline.kinds.training import PREFERENCE, RL, SFT

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (RL, SFT, PREFERENCE, SCORE, EVAL, DIAGNOSE, SELECT, HARVEST, SYNTHESIZE, MERGE, RANK, RUN)
}
