"""The simulated fleet: Auto Scaling, EC2 and Elastic Load Balancing on one loopback port.

moto answers the APIs and keeps the resources; this package gives them a life: servers take time to
boot and to die, groups keep their capacity, hooks hold an instance, targets become healthy when a
job has provisioned them, and every change is published to SNS in the words AWS uses.

Read `service` first (how the parts are joined), then `lifecycle` (what happens to a member).
"""
