// Nothing is compiled: the module carries the definitions of the Prometheus operator's kinds, pinned by go.sum.
module muster.test/operator

go 1.25.0

require github.com/prometheus-operator/prometheus-operator v0.92.1
