"""The kubelet: makes the pods bound to this node real, and tells the API server how they are."""
