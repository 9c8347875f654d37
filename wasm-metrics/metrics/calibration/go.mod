module triality.example/calibration

go 1.26

require triality.example/metric v0.0.0

replace triality.example/metric => ../../sdk/go
