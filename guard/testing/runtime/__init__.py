"""A scripted model server: vLLM's API with exact latency, scripted errors, and faults on demand."""

from guard.testing.runtime.script import Fault, FaultKind, Script
from guard.testing.runtime.server import ScriptedRuntime

__all__ = ["Fault", "FaultKind", "Script", "ScriptedRuntime"]
