package cuda

// UseProductsOfCodes makes MatMulInt8 take the way of other cards, or that of an H200.
func (d *Device) UseProductsOfCodes(yes bool) { d.codesPay = yes }
