"""The older version of the group autoscaling, a face of the newer one."""
