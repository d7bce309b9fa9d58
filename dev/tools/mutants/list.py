"""The mutants: small changes that break a promise, each of which a test must detect.

`old` occurs exactly once in its file. A unit test checks that, so a change of such a line must also change the mutant.
The mutants in CORE change the relay's own rules, which the property tests alone should detect. The others are in parts
that the model does not cover: requests to the API server, the permissions of the gateway, the pace of the queue.
"""

from typing import Final

from dev.tools.mutants.attempts import ATTEMPTS
from dev.tools.mutants.extensions import EXTENSIONS
from dev.tools.mutants.outside import OUTSIDE
from dev.tools.mutants.parts import PARTS
from dev.tools.mutants.starts import STARTS

CORE: Final = (*ATTEMPTS, *STARTS, *PARTS)
OTHERS: Final = (*OUTSIDE, *EXTENSIONS)
