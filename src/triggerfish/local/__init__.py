"""The local cloud: what AWS, Jenkins and the servers do, in processes on this machine."""
