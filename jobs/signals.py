"""What listeners may hear. Sent with `send_robust`, after the commit, in the process where it happened.

| signal | sender | arguments |
|---|---|---|
| `job_enqueued` | the job's name | `run_ids` |
| `job_started` | the job's name | `run_id`, `attempt`, `queue`, `worker` |
| `job_finished` | the job's name | `run` (a `JobRun`), `verdict` |
| `job_buried` | the job's name | `dead_job` |
| `job_requeued` | the job's name | `dead_job` |
| `job_fused` | the job's name | `fuse` (a `Fuse` that was added) |
| `circuit_changed` | the circuit's name | `before`, `after`: "closed", "open" or "half-open" |
| `workflow_stalled` | the workflow's name | `workflow`, `recovered`: the steps that were begun again |
| `schedule_late` | the schedule's name | `facts` (a `LateTick`) |
| `queue_unhealthy` | the queue's name | `incident` (an `Incident` that was opened) |
"""

from django.dispatch import Signal

job_enqueued = Signal()
job_started = Signal()
job_finished = Signal()
job_buried = Signal()
job_requeued = Signal()
job_fused = Signal()
circuit_changed = Signal()
workflow_stalled = Signal()
schedule_late = Signal()
queue_unhealthy = Signal()
