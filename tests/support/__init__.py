"""What tests share: the real kubectl, builders of manifests, waiting with a deadline, task pods without a kubelet."""
