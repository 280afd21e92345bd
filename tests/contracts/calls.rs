//! The stores of calls.

use std::sync::Arc;

use callvault_calls::memory::MemoryCalls;
use callvault_tests::calls_contract;
use callvault_tests::contract_calls::Store;

async fn in_memory() -> ((), Store) {
    ((), Arc::new(MemoryCalls::new()))
}

calls_contract!(memory, crate::calls::in_memory);
