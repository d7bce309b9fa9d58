"""What tests share: builders of manifests, kubectl, a kubelet that runs pods as local processes."""
