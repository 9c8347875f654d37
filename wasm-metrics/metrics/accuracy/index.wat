;; The smallest metric: the share of rows whose prediction is the gold class,
;; for arm A. Everything the interface asks for is here by hand; ABI.md says
;; what each number means.
(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 4096))

  ;; The description, ended by a zero byte.
  (data (i32.const 1024)
    "{\22name\22: \22accuracy\22, \22version\22: \221.0.0\22,"
    "\22description\22: \22Share of rows of arm A whose prediction is the gold class. Rows without a gold class are left out; a row without a prediction is wrong.\22,"
    "\22formula\22: \22|predicted = gold| / |gold|\22,"
    "\22source\22: \22C. D. Manning, P. Raghavan, H. Schuetze, Introduction to Information Retrieval (2008), section 8.3\22,"
    "\22columns\22: [{\22role\22: \22label\22}, {\22role\22: \22prediction\22, \22arm\22: \22A\22}],"
    "\22outputs\22: [{\22name\22: \22accuracy.A\22, \22kind\22: \22scalar\22, \22direction\22: \22higher\22, \22arm\22: \22A\22, \22min\22: 0, \22max\22: 1}]}")

  ;; The block of results, but for its value (at 64) and validity (at 72):
  ;; "TMR1", version 1, status 0, 1 result; then the record {scalar, f64, name
  ;; at 48, 10 bytes, data at 64, 8 bytes, validity at 72, 0}.
  (data (i32.const 256)
    "TMR1" "\01\00\00\00" "\00\00\00\00" "\01\00\00\00"
    "\01\00\00\00" "\03\00\00\00" "\30\00\00\00" "\0a\00\00\00"
    "\40\00\00\00" "\08\00\00\00" "\48\00\00\00" "\00\00\00\00"
    "accuracy.A")

  (func (export "triality_metric_v1"))

  ;; The next size bytes of memory, on a multiple of 16.
  (func (export "metric_alloc") (param $size i32) (result i32)
    (local $at i32) (local $end i64)
    (local.set $at (global.get $free))
    (local.set $end (i64.and
      (i64.add (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $size))) (i64.const 15))
      (i64.const -16)))
    (if (i64.gt_u (local.get $end) (i64.const 0xfffffff0)) (then (return (i32.const 0))))
    (if (i64.gt_u (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16)))
      (then
        (if (i32.eq
              (memory.grow (i32.sub
                (i32.wrap_i64 (i64.shr_u (i64.add (local.get $end) (i64.const 65535)) (i64.const 16)))
                (memory.size)))
              (i32.const -1))
          (then (return (i32.const 0))))))
    (global.set $free (i32.wrap_i64 (local.get $end)))
    (local.get $at))

  (func (export "metric_describe") (result i64)
    (local $end i32)
    (local.set $end (i32.const 1024))
    (loop $next
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (br_if $next (i32.load8_u (local.get $end))))
    (i64.or (i64.const 0x40000000000) ;; 1024 << 32
      (i64.extend_i32_u (i32.sub (local.get $end) (i32.const 1024)))))

  ;; The record of the first column of a role.
  (func $column (param $table i32) (param $role i32) (result i32)
    (local $record i32)
    (local.set $record (i32.add (local.get $table) (i32.const 16)))
    (loop $next
      (if (i32.eq (i32.load (local.get $record)) (local.get $role))
        (then (return (local.get $record))))
      (local.set $record (i32.add (local.get $record) (i32.const 32)))
      (br $next))
    (unreachable))

  ;; Whether row i of a column has a value.
  (func $valid (param $table i32) (param $record i32) (param $i i32) (result i32)
    (local $bitmap i32)
    (local.set $bitmap (i32.load offset=28 (local.get $record)))
    (if (i32.eqz (local.get $bitmap)) (then (return (i32.const 1))))
    (i32.and
      (i32.shr_u
        (i32.load8_u (i32.add (i32.add (local.get $table) (local.get $bitmap)) (i32.shr_u (local.get $i) (i32.const 3))))
        (i32.and (local.get $i) (i32.const 7)))
      (i32.const 1)))

  (func $value (param $table i32) (param $record i32) (param $i i32) (result i32)
    (i32.load (i32.add
      (i32.add (local.get $table) (i32.load offset=16 (local.get $record)))
      (i32.shl (local.get $i) (i32.const 2)))))

  (func (export "metric_eval") (param $table i32) (param $size i32) (result i64)
    (local $label i32) (local $prediction i32) (local $i i32) (local $rows i32) (local $right i32) (local $all i32)
    (local.set $label (call $column (local.get $table) (i32.const 1)))
    (local.set $prediction (call $column (local.get $table) (i32.const 2)))
    (local.set $rows (i32.load offset=8 (local.get $table)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $rows)))
        (if (call $valid (local.get $table) (local.get $label) (local.get $i))
          (then
            (local.set $all (i32.add (local.get $all) (i32.const 1)))
            (if (call $valid (local.get $table) (local.get $prediction) (local.get $i))
              (then
                (local.set $right (i32.add (local.get $right)
                  (i32.eq
                    (call $value (local.get $table) (local.get $label) (local.get $i))
                    (call $value (local.get $table) (local.get $prediction) (local.get $i)))))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    ;; Over no rows the accuracy is undefined: its validity bit stays 0.
    (i32.store8 (i32.const 328) (i32.ne (local.get $all) (i32.const 0)))
    (if (local.get $all)
      (then (f64.store (i32.const 320)
        (f64.div (f64.convert_i32_u (local.get $right)) (f64.convert_i32_u (local.get $all))))))
    (i64.const 0x10000000049))) ;; 256 << 32 | 73
