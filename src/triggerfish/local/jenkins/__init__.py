"""A stand-in for Jenkins that answers the remote API as Jenkins core does.

`core` is the queue and the builds as a pure state machine, `server` the thin HTTP shell over it,
`fake` the same core behind the interface of `triggerfish.provision.jenkins`, in one process.

Its jobs take an executor from start to end, as freestyle projects do, and their running builds
outlive a restart, as pipelines do: the two habits of Jenkins a caller has to be right about.
"""

TOKEN_VARIABLE = "TRIGGERFISH_STAND_IN_TOKEN"  # noqa: S105 - a name
"""Holds the user's API token for the child process: a command line can be read by everybody."""
