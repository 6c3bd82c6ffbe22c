"""What runs workflows in a worker process: the service's, and the one it is measured against."""

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions


def workflow_runner(*pure: str) -> WorkflowRunner:
    """Return a runner. pure: modules that pass through the sandbox, and so escape its checks."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*pure))
