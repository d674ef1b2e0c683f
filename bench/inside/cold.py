"""One cold start, as it is measured by `bench/invocation.py`; prints milliseconds.

    lambda-python bench/inside/cold.py ARTIFACT clients|handler

`clients` makes the clients that a run of the function uses and nothing else; `handler` imports the
function's module first, and makes the same clients. Lambda's runtime client is there already, as it
is on Lambda. The clients are botocore's, which is what boto3's are.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

import awslambdaric.bootstrap  # noqa: F401 - what Lambda has imported before the function is

CLIENTS = ("dynamodb", "autoscaling", "ec2", "elbv2", "route53", "sqs")

artifact, what = sys.argv[1:]
sys.path.insert(0, artifact)
began, began_cpu = time.perf_counter(), time.process_time()
if what == "handler":
    import_module("triggerfish.provision.handler")
imported = time.perf_counter()

from botocore.session import Session  # noqa: E402

session = Session()
for service in CLIENTS:
    session.create_client(
        service,
        region_name="eu-central-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 - no request is sent
    )
ended, ended_cpu = time.perf_counter(), time.process_time()
print((ended - began) * 1000, (ended_cpu - began_cpu) * 1000, (imported - began) * 1000)
