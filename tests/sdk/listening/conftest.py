from __future__ import annotations

import sys
from pathlib import Path

# In importlib mode tests see only installed packages; their fakes lie beside them.
sys.path.insert(0, str(Path(__file__).parent))
